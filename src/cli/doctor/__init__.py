"""`orderflow doctor`: what makes task queues go wrong, and how to mend it. Facts are gathered, then judged."""
