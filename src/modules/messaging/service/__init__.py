"""What messaging does, for whichever way in: HTTP and sockets call the same methods."""
