"""Several providers behind one name: the routes file, and what traffic tells of each target."""
