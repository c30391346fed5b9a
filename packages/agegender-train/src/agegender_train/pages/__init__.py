"""What our HTML pages share: tables, contact sheets, and the page round them."""
