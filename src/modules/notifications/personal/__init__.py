"""The personal socket: /ws/notifications."""
