"""Push subscriptions: the browsers in which somebody wants to be told."""
