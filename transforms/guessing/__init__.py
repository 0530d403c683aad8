"""Guesses about a sample file: how it is written and what its columns are. Plain lists of text in, no input or output.

What is not certain comes with a doubt: a sentence for a person, which never holds a value of the sample.
"""
