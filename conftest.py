"""Real servers for the integration tests of every package."""

pytest_plugins = ["fleet.fixtures", "switchboard.testing.fixtures"]
