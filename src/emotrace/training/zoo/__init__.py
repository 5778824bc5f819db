"""Train, score and export any network of the zoo (`emotrace.models.zoo`).

From a `ZooRecipe` to a run folder (`fit`), its scores (`evaluation`, `comparison`) and its bundle
(`export`). What training shares with the default model's recipe lies one folder up.
"""
