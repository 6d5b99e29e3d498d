"""Small charts that go with a notification: what they show, how they are drawn, and where they are fetched."""
