# Shared by adopt and crl: times as certificates and lists have them.
use strict;

# UTCTime or GeneralizedTime, YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ, to the end of TEXT or to a comma, in seconds
# since the epoch; nothing, when it is none. Two digits of a year are those of 1950 to 2049.
sub seconds_of {
    my ($text) = @_;
    my ($y, $mo, $d, $h, $mi, $s) =
      $text =~ /\A((?:[0-9]{2})?[0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})Z(?:\z|,)/ or return;
    $y += $y < 50 ? 2000 : 1900 if length $y == 2;
    # Years that begin in March have the day that is not always there at their end.
    ($y, $mo) = $mo > 2 ? ($y, $mo - 3) : ($y - 1, $mo + 9);
    my $days = 365 * $y + int($y / 4) - int($y / 100) + int($y / 400) + int((153 * $mo + 2) / 5) + $d - 719469;
    return (($days * 24 + $h) * 60 + $mi) * 60 + $s;
}

1;
