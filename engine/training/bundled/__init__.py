"""Training the generator that ships with Maquette, from rendered heads."""
