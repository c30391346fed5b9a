"""What is in stores and what was left out of them, to be seen: plots, contact sheets, and what is there twice."""
