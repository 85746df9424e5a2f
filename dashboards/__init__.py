"""The screens: a Panel application that reads the warehouse and asks for changes through it."""
