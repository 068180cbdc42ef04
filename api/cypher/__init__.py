"""The part of Cypher that only reads: its words, its tokens and its grammar."""
