print("ala")
