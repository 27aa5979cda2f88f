"""A Django site for the tests."""
