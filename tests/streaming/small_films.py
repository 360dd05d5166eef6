"""What the networks of these tests look at."""

SIZE = 64
FUSION = {
    "tsn": 1.0,
    "off7": 0.7,
    "off14": 0.4,
    "off7_energy": 0.6,
    "off7_direction": 0.5,
    "off14_order": 0.8,
}
