"""Planning: from a request and a repository to a plan worth paying for."""
