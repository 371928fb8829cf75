"""What no GPU can do: laws that the rows of a sound recording keep, whatever the program."""
