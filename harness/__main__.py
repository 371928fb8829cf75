"""`python -m harness` is `harness`."""

from .own_python import leave_current_folder

if __name__ == "__main__":  # processes that share the work import this module too
    leave_current_folder()
    from .cli import main

    main()
