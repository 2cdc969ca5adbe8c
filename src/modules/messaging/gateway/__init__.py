"""The chat socket: /ws/chat."""
