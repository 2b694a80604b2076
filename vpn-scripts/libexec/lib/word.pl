# Shared by adopt and sessions: what the platform compares has to be written in one way.
use strict;
use warnings;

# The common name of a certificate in one word, whatever it holds: all but letters, digits and some signs as %XX.
sub in_one_word {
    my ($name) = @_;
    $name =~ s/([^A-Za-z0-9.\@_-])/sprintf '%%%02X', ord $1/ge;
    return substr $name, 0, 192;
}

1;
