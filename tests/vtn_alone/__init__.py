"""A Django project with the VTN in it and no other room: what lifting it out comes to."""
