"""Discovery: search and content details. It owns no data; every source of an answer has another behind it."""
