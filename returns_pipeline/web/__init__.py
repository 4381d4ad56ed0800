"""The REST interface and the web page. Neither loads a model: the workers hold it."""
