"""The recipes: one module each, with the network, its options and how it is trained.

A new recipe for photo folders is one module here with a class like `cnn.Cnn`, and one function in
`cli/train.py`.
"""
