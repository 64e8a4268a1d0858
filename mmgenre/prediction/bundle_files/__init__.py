"""Files that go into an exported bundle as they are, or filled in."""
