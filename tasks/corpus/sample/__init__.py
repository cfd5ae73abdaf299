"""The embedded sample corpus: drawn people with drawn expressions, written to disk as BAUM-1s is."""
