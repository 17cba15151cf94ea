"""The numbers of the product: pure functions of counts, with numpy and the standard library only."""
