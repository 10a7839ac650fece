"""LiveKit's internal request bus: protobuf messages over Redis publish/subscribe."""
