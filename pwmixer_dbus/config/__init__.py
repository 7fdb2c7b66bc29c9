"""The configuration file: foreign text in, `Settings` or one sentence per problem out."""
