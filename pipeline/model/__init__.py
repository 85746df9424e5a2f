"""Pure values that every part agrees on: no input or output, no clock."""
