"""What several test modules share: stand-ins for services that the tests may not reach."""
