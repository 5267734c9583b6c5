"""The window and the command line of Maquette."""
