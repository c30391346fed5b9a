"""What our plots and HTML pages share: colours, tables, contact sheets, and the page round them."""
