"""What the tests share: one module for each kind of thing, named after it."""
