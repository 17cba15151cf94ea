"""What readers see of a judgement: terminal, Markdown, GitHub, JUnit, JSON, HTML, Every Eval Ever.

Nothing here estimates or judges: every report is made from one `Judgement` and its records.
"""
