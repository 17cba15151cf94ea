# what lies there are the repositories, with tests of their own, and the hidden tests
collect_ignore = ["tasks"]
