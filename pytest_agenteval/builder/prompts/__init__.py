"""What models are told, a file each. Their texts are part of the key of a call: a changed prompt asks again."""
