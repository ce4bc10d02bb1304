"""A regression table as a part of a page, LaTeX, Markdown or a Word document."""
