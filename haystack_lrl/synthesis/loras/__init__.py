"""The LoRAs of models that write triplets: trained, checked, composed."""
