"""The papers' experiments as data: one folder per paper, and what runs and shows them.

`plan` has the kinds of steps a paper is written in, `workshop` does them one after another in a
folder that may be left and taken up again, `report` has the values that a page is made of, `pages`
writes it. `emotrace.papers.reproduce.reproduce` does all of it for one paper.
"""
