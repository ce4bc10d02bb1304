"""Where the account of data goes: terminal, page, pictures, files."""
