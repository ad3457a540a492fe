"""What all pictures and pages share: numbers as text, colours and widths, parts of HTML."""
