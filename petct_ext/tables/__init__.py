"""Tables through which steps meet: columns, types, reading and writing."""
