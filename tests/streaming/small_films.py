"""What the networks of these tests look at."""

SIZE = 64
FUSION = {"tsn": 1.0, "off7": 0.7, "off14": 0.4}
