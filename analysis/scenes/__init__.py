"""What is drawn: the moments worth a picture, and the bars in it."""
