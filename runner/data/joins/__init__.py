"""Tables that are joined to the table of assets: fields, series and labels of other files."""
