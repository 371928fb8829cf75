"""The answer in sentences: how much the GPU idles, for what, what to do, and what that would win.

`kinds` says what the largest gain of a loop is about, each with the remedy that fits; `compose`
makes the sentences that the terminal, JSON, the page and Python show alike.
"""
