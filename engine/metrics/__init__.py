"""How good a generator is, in numbers whose formulas are checked; ``maquette evaluate``."""
