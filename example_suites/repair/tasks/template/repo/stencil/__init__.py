from stencil.render import render

__all__ = ["render"]
