"""The command line: one module for each verb, `app` to choose between them."""
