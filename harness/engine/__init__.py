"""Who answers: engines, and the identity their answers depend on."""
