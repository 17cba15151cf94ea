from todo.store import Store

__all__ = ["Store"]
